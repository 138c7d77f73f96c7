"""Web pages with a login, mounted beside the signed API: neither affects the other."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from clary.core.credentials import Credentials
from clary.wire.pages import Pages
from tests.wire import asgi
from tests.wire.asgi import URL, Answer, App

MODELS = {("sagemaker", "ListModels"): {"Models": []}}


async def home(request: Request) -> Response:
    user = request.session.get("user")
    return PlainTextResponse(f"hello {user}" if user else "log in", 200 if user else 401)


async def login(request: Request) -> Response:
    request.session["user"] = (await request.body()).decode()
    return PlainTextResponse("welcome")


async def logout(request: Request) -> Response:
    request.session.clear()
    return PlainTextResponse("bye")


async def fill(request: Request) -> Response:
    request.session["all"] = "x" * 5000
    return PlainTextResponse("never sent")


def pages(path: str) -> Pages:
    routes = [
        Route("/", home),
        Route("/login", login, methods=["POST"]),
        Route("/logout", logout, methods=["POST"]),
        Route("/fill", fill, methods=["POST"]),
    ]
    return Pages(path, routes)


@pytest.fixture
def app() -> App:
    return App(MODELS, pages=[pages("/console"), pages("/portal")])


def get(app: App, path: str, cookie: str = "") -> Answer:
    return app.send("GET", URL + path, {"Cookie": cookie} if cookie else {})


def log_in(app: App, path: str = "/console", user: str = "ada") -> str:
    """The cookie that the browser sends from then on."""
    answer = app.send("POST", f"{URL}{path}/login", {}, user)
    assert answer.status == 200
    return answer.headers["set-cookie"].partition(";")[0]


def test_a_login_lasts_from_page_to_page_until_the_logout(app):
    assert get(app, "/console/").text == "log in"
    cookie = log_in(app)
    assert get(app, "/console/", cookie).text == "hello ada"
    response = app.send("POST", f"{URL}/console/logout", {"Cookie": cookie})
    assert "Max-Age=0" in response.headers["set-cookie"]


def test_who_never_logged_in_gets_no_cookie(app):
    assert "set-cookie" not in get(app, "/console/").headers


def test_the_cookie_is_for_these_pages_and_for_no_script(app):
    answer = app.send("POST", f"{URL}/console/login", {}, "ada")
    attributes = answer.headers["set-cookie"].split("; ")[1:]
    assert attributes == ["Path=/console", "HttpOnly", "SameSite=Strict"]
    over_tls = replace(app.settings, tls_certificate="c.pem", tls_key="k.pem")
    answer = App(settings=over_tls, pages=[pages("/console")]).send("POST", f"{URL}/console/login", {}, "ada")
    assert answer.headers["set-cookie"].endswith("; Secure")


def test_the_path_itself_leads_to_the_first_page(app):
    answer = get(app, "/console")
    assert (answer.status, answer.headers["location"]) == (307, "/console/")


def test_a_session_ends_when_nothing_was_asked_for_long_enough(app):
    cookie = log_in(app)
    app.clock.shift = timedelta(hours=7)
    renewed = get(app, "/console/", cookie).headers["set-cookie"].partition(";")[0]
    app.clock.shift = timedelta(hours=14)
    assert get(app, "/console/", renewed).text == "hello ada"
    assert get(app, "/console/", cookie).text == "log in"


FORGERIES = {
    "no signature": lambda cookie: cookie.partition(".")[0],
    "another session": lambda cookie: "clary-console=WzAse31d." + cookie.rpartition(".")[2],
    "another signature": lambda cookie: cookie[:-4] + "0000",
    "not ASCII": lambda cookie: "clary-console=\xff.\xff",
    "nothing": lambda cookie: "clary-console=",
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_cookie_that_this_server_did_not_sign_is_no_login(app, forge):
    assert get(app, "/console/", forge(log_in(app))).text == "log in"


def test_a_login_is_for_the_pages_it_was_made_at(app):
    value = log_in(app).partition("=")[2]
    assert get(app, "/portal/", f"clary-portal={value}").text == "log in"


def test_a_login_ends_with_the_keys_of_the_server(app, monkeypatch):
    cookie = log_in(app)
    monkeypatch.setattr(asgi, "KEYS", Credentials("AKIATESTTESTTESTTEST", "another"))
    assert get(App(pages=[pages("/console")]), "/console/", cookie).text == "log in"


def test_a_session_that_no_cookie_can_hold_is_the_pages_error(app):
    with pytest.raises(ValueError, match="a cookie holds 4096"):
        app.send("POST", f"{URL}/console/fill", {})


# ---- neither affects the other ----


def test_the_api_answers_signed_requests_as_without_pages(app):
    assert app.client("sagemaker").list_models()["Models"] == []


def test_a_login_is_no_signature(app):
    answer = app.send("POST", f"{URL}/", {"Cookie": log_in(app), "X-Amz-Target": "SageMaker.ListModels"}, "{}")
    assert answer.status == 403
    assert "MissingAuthenticationToken" in answer.text
    assert app.seen == []


def test_an_api_request_with_a_cookie_sets_none(app):
    answer = app.call("SageMaker.ListModels", "{}", Cookie=log_in(app))
    assert answer.status == 200
    assert "set-cookie" not in answer.headers


def test_a_signature_is_no_login(app):
    signed = asgi.sign(
        "GET",
        f"{URL}/console/",
        {},
        b"",
        asgi.KEYS,
        region="us-east-1",
        service="sagemaker",
        now=app.clock.now(),
    )
    assert app.send("GET", f"{URL}/console/", signed).text == "log in"


def test_a_page_that_is_not_there_is_no_error_of_the_api(app):
    answer = get(app, "/console/nothing")
    assert answer.status == 404
    assert "__type" not in answer.text


def test_a_refusal_of_the_api_leaves_the_pages_alone(app):
    with pytest.raises(ClientError):
        app.client("sagemaker", secret_access_key="wrong").list_models()
    assert get(app, "/console/", log_in(app)).text == "hello ada"
