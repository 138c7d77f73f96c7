"""A model host's process: bind, load, listen, answer, drain."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

from clary.tasks import paths
from clary.tasks.host import workers
from clary.tasks.host.handlers import Handlers
from clary.tasks.host.options import DRAIN_S, Options

log = logging.getLogger("clary.host")


def serve(handlers: Handlers) -> None:
    """Load the model and answer until SIGTERM, as the environment says (see `clary.tasks.host.options`)."""
    try:
        options = Options.from_environment(os.environ)
        listener = bind(options)
    except (ValueError, OSError) as error:
        sys.exit(f"ClientError: {error}")
    configure_log(options)
    if options.workers == 1:
        work(handlers, options, listener)
    else:
        workers.keep(options.workers, lambda ready: work(handlers, options, listener, ready))


def bind(options: Options) -> socket.socket:
    """Take the port, so that a taken one is an error before the model loads; nobody can connect before `listen`."""
    listener = socket.socket(socket.AF_INET6 if ":" in options.host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((options.host, options.port))
    except OSError as error:
        listener.close()
        text = f"cannot listen on {options.host}:{options.port} (SAGEMAKER_BIND_TO_PORT): {error.strerror}"
        raise OSError(text) from error
    return listener


def configure_log(options: Options) -> None:
    """Whole lines at once, also where stdout is a pipe; the log as AWS's images have it."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    logging.basicConfig(format="%(asctime)s %(levelname)s - %(name)s - %(message)s", level=options.log_level)


def work(
    handlers: Handlers, options: Options, listener: socket.socket, ready: Callable[[], None] | None = None
) -> None:
    """Load the model, answer until SIGTERM. Exits with 1 where it cannot be loaded."""
    # Process 1 of a container would ignore SIGTERM without a handler.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    model = load(handlers)
    from clary.tasks.host.app import App
    from clary.tasks.host.web import server

    def listening() -> None:
        log.info("answering on %s:%s, pid %s", *listener.getsockname()[:2], os.getpid())
        if ready:
            ready()

    def stop(signal_number: int, frame: FrameType | None) -> None:
        web.should_exit = True

    app = App(handlers, model, options)
    web = server(app, listening)
    # uvicorn puts its own handler over this one, and raises the signal again when it is done.
    signal.signal(signal.SIGTERM, stop)
    web.run(sockets=[listener])
    if app.running:  # threads that will not end would keep the process
        log.warning("%s requests did not end within %s s", len(app.running), DRAIN_S)
        sys.stdout.flush()
        os._exit(0)


def load(handlers: Handlers) -> object:
    try:
        return handlers.load(paths.model_dir())
    except BaseException as error:
        log.exception("The model could not be loaded")
        raise SystemExit(1) from error
