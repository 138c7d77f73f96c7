"""Answers for AWS's host names on this machine, so that code which names them reaches Clary. A process of its own.

server.py takes CONNECT; hosts.py says who is meant. What is AWS's is terminated with a certificate of the home's own
authority.py and goes, request by request (conversation.py), through relay.py to the service (s3.py for S3). All else is
tunnelled, unread.
"""
