"""The data formats of SageMaker's algorithms: csv, libsvm, parquet and recordio-protobuf, to and from rows of numbers.

a file, a pipe or a request's body ──> decoding.decode ──> table.Table
Read by programs (clary.tasks) and by the data library (clary.data); needs neither of them.
"""
