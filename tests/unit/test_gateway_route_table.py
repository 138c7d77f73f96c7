"""Routes read from files: new, changed, broken, removed."""

import json
import os
import time

import pytest

from clary.core.files import write_whole
from clary.core.routes import Mode, Replica, Route, Variant
from clary.gateway.route_table import RouteTable


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "routes"
    made.mkdir()
    return made


def put(folder, route, name=""):
    write_whole(folder / f"{name or route.endpoint}.json", route.to_json())


def a_route(endpoint="e", uid="u", **more):
    return Route(endpoint, uid, "InService", (Variant("v", 1.0, (Replica("t", "http://127.0.0.1:8080"),)),), **more)


def test_routes_come_change_and_go(folder):
    changes = []
    table = RouteTable(folder, lambda: changes.append(dict(table.routes)))
    table.refresh()
    assert table.routes == {}
    put(folder, a_route())
    table.refresh()
    assert table.routes == {"e": a_route()}
    put(folder, a_route(uid="u2"))
    table.refresh()
    assert table.routes == {"e": a_route(uid="u2")}
    (folder / "e.json").unlink()
    table.refresh()
    assert table.routes == {}
    assert len(changes) == 3


def test_no_folder_is_no_route(tmp_path):
    table = RouteTable(tmp_path / "absent")
    table.refresh()
    assert table.routes == {}
    (tmp_path / "absent").mkdir()
    put(tmp_path / "absent", a_route())
    table.refresh()
    assert table.routes


def test_an_unchanged_folder_is_not_read_again(folder, monkeypatch):
    put(folder, a_route())
    long_ago = time.time() - 60
    os.utime(folder, (long_ago, long_ago))
    table = RouteTable(folder)
    table.refresh()

    def read_again(path):
        raise AssertionError("it was read again")

    monkeypatch.setattr(os, "scandir", read_again)
    table.refresh()


def test_two_changes_within_one_step_of_the_clock_are_both_seen(folder):
    table = RouteTable(folder)
    put(folder, a_route(uid="u1"))
    stamp = time.time()
    os.utime(folder, (stamp, stamp))
    table.refresh()
    put(folder, a_route(uid="u2"))
    os.utime(folder, (stamp, stamp))
    table.refresh()
    assert table.routes["e"].uid == "u2"


@pytest.mark.parametrize("mode", Mode)
def test_a_route_has_a_mode(folder, mode):
    put(folder, a_route(mode=mode))
    table = RouteTable(folder)
    table.refresh()
    assert table.routes["e"].mode is mode


def test_a_file_of_a_version_without_modes_is_real_time(folder):
    text = json.dumps({name: value for name, value in json.loads(a_route().to_json()).items() if name != "mode"})
    write_whole(folder / "e.json", text)
    table = RouteTable(folder)
    table.refresh()
    assert table.routes == {"e": a_route(mode=Mode.REAL_TIME)}


GOOD = json.loads(a_route().to_json())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        json.dumps(GOOD | {"endpoint": "other"}),
        json.dumps(GOOD | {"mode": "batch"}),
        json.dumps(GOOD | {"variants": 7}),
        json.dumps(GOOD | {"variants": [{"name": "v", "weight": "1", "replicas": []}]}),
        json.dumps(GOOD | {"variants": [{"name": "v", "weight": -1, "replicas": []}]}),
        json.dumps(GOOD | {"variants": [{"name": "v", "weight": float("nan"), "replicas": []}]}),
        json.dumps(
            GOOD | {"variants": [{"name": "v", "weight": 1, "replicas": [{"task_id": "t", "address": "ftp://x"}]}]}
        ),
        json.dumps(
            GOOD
            | {"variants": [{"name": "v", "weight": 1, "replicas": [{"task_id": "t", "address": "http://h:99999"}]}]}
        ),
        json.dumps(GOOD | {"variants": [{"name": "v", "weight": 1, "replicas": [{"task_id": "t", "address": 5}]}]}),
    ],
)
def test_a_broken_file_leaves_the_old_route(folder, text):
    table = RouteTable(folder)
    put(folder, a_route())
    table.refresh()
    write_whole(folder / "e.json", text)
    write_whole(folder / "new.json", text)
    table.refresh()
    assert table.routes == {"e": a_route()}
    put(folder, a_route(uid="mended"))
    table.refresh()
    assert table.routes["e"].uid == "mended"


def test_a_file_of_bytes_and_one_half_written_are_no_routes(folder):
    (folder / "e.json").write_bytes(b"\xff\xfe")
    (folder / ".e.json.1234.part").write_text(a_route().to_json())
    (folder / "d.json").mkdir()
    table = RouteTable(folder)
    table.refresh()
    assert table.routes == {}
