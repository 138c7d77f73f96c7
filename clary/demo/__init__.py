"""The tour: a real model trained, deployed and asked, through plain boto3, on a server of its own."""
