"""Settings that clients of the embedded S3 need in addition to its address and keys."""

from __future__ import annotations

# For every client. Newer ones add a checksum nobody asked for: over TLS as a trailer of a chunked body, which rclone
# 1.75 does not take; over HTTP as a header, which it keeps and gives with parts of the object too, where they fail.
CLIENT_ENVIRONMENT = {
    "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
    "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
}
