"""Answers for AWS's host names on this machine, so that code which names them reaches Clary. A process of its own.

server.py takes CONNECT; hosts.py says who is meant; what is AWS is terminated with a certificate of authority.py and
goes, request by request, through relay.py to the service (s3.py for S3); all else is tunnelled, unread.
"""
