"""Answers for AWS's host names on this machine, so that code which names them reaches Clary. A process of its own.

A connection begins with CONNECT (connect.py, server.py), whose host name decides (hosts.py). For a host of AWS, TLS
ends here, with a certificate of the home's own authority.py, and each request (aws_connection.py) goes through relay.py
to the service, or through s3.py to S3. All other hosts are tunnelled, unread.
"""
