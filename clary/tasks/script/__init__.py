"""Script mode: run a user's training script as AWS's toolkit does, whatever the framework.

configuration  ->  source  ->  requirements  ->  environment  ->  process
the three files    /opt/ml/code    pip           SM_*, --key value    the script

`training` takes these steps; `inference` brings a script that answers requests.
"""
