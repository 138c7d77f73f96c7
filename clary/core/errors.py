"""The errors, in two trees: those that are returned to a caller, and those of a part of Clary.

ClaryError
├── ServiceError    returned to the caller; the class name is the wire code, so it is AWS's spelling
│   ├── ValidationException  ResourceInUse  ResourceNotFound  ResourceNotFoundException
│   ├── ValidationError  InvalidParameterException  InternalFailure
│   ├── ResourceLimitExceeded  ConflictException  ThrottlingException
│   ├── UnknownOperationException  SerializationException  NotImplementedByClary
│   ├── RequestEntityTooLarge  ServiceUnavailable
│   └── AccessError     a bad signature: IncompleteSignature  MissingAuthenticationToken
│                       UnrecognizedClientException  InvalidSignatureException
├── ComputeError    raised by a backend
│   ├── CapacityError   wait and try again
│   └── LaunchError     this task will never start; its text becomes FailureReason
├── ObjectStoreError    S3 could not be read or written; its text becomes FailureReason
├── SettingsError   a setting, or the machine, does not fit; the text has the remedy
└── StoreError
    ├── RecordExists    create: the name is taken
    ├── RecordMissing   get: there is no such record
    ├── StaleWrite      the record moved meanwhile; the loop reads it again
    └── ChildrenExist   delete: records that it owns are still there
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clary.core.records import Record


class ClaryError(Exception):
    """Anything Clary raises on purpose."""


class ServiceError(ClaryError):
    """Returned to the caller. The class name is the code on the wire."""

    status = 400

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def code(self) -> str:
        return type(self).__name__


class ValidationException(ServiceError):
    """The request cannot be carried out as it stands; the message names the field and the remedy."""


class ValidationError(ServiceError):
    """The request cannot be carried out: the data plane's code for it."""


class InvalidParameterException(ServiceError):
    """A parameter does not fit: CloudWatch Logs' code for it."""


class InternalFailure(ServiceError):
    """An error of the server; its log has it under the request's id."""

    status = 500


class ResourceInUse(ServiceError):
    """The name of a job is taken."""


class ResourceNotFound(ServiceError):
    """The resource does not exist (where AWS uses this code; for most resources it uses ValidationException)."""


class ResourceNotFoundException(ServiceError):
    """The resource does not exist: CloudWatch Logs' code for it."""


class ResourceLimitExceeded(ServiceError):
    """A quota is used up."""


class ConflictException(ServiceError):
    """The resource is busy with another request."""


class ThrottlingException(ServiceError):
    """Too many requests; clients wait and try again."""


class UnknownOperationException(ServiceError):
    """No operation of this name exists in the service model."""


class SerializationException(ServiceError):
    """The body is not what the protocol demands (broken JSON, wrong JSON type)."""


class NotImplementedByClary(ServiceError):
    """The operation, or a member of its request, exists at AWS and is not built here. No client retries a 400."""


class RequestEntityTooLarge(ServiceError):
    """The body is larger than the server accepts."""

    status = 413


class ServiceUnavailable(ServiceError):
    """What would answer the request is not there, or not now; clients try again."""

    status = 503


class AccessError(ServiceError):
    """The request is not signed by a key of this server."""

    status = 403


class IncompleteSignature(AccessError):
    """The authorisation header or query lacks a part."""

    status = 400


class MissingAuthenticationToken(AccessError):
    """The request is not signed at all."""


class UnrecognizedClientException(AccessError):
    """The access key is not one of this server's."""


class InvalidSignatureException(AccessError):
    """The signature, its date or the body's hash does not match."""


class ComputeError(ClaryError):
    """A backend could not do what it was asked."""


class CapacityError(ComputeError):
    """The machine does not have what the task asks for."""


class LaunchError(ComputeError):
    """This task will never start; the text becomes FailureReason."""


class ObjectStoreError(ClaryError):
    """S3 could not be read or written; the text becomes FailureReason."""


class SettingsError(ClaryError):
    """A setting does not fit, or not together with others; the text has the remedy."""


class StoreError(ClaryError):
    """A record could not be kept as asked."""


class RecordExists(StoreError):
    """The name is taken. `record` is the one that has it."""

    def __init__(self, record: Record) -> None:
        super().__init__(f"{record.ref} exists already")
        self.record = record


class RecordMissing(StoreError):
    """There is no record of this kind and name."""


class StaleWrite(StoreError):
    """The record is no longer the one that was read."""


class ChildrenExist(StoreError):
    """A record that is to be deleted owns others."""
