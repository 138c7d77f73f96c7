"""The demo: a real model trained, deployed and invoked, through plain boto3, on a server of its own."""
