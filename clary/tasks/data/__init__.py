"""Reading what algorithms are given, and writing what they answer: csv, libsvm, parquet, recordio-protobuf.

a channel of a job ──> channels.read ──┐
                                       ├──> Table
the body of a request ──> formats.decode ──┘
"""
