"""CloudWatch Logs, as much as the SDKs need to show what jobs and endpoints print."""
