import pytest

from clary.artifacts.log_file import BLOCK, LONGEST_LINE
from clary.artifacts.logs import ALWAYS, InvalidOffset, LogNotFound, LogStreams, Window

GROUP = "/aws/sagemaker/TrainingJobs"


@pytest.fixture
def logs(tmp_path):
    return LogStreams(tmp_path / "logs")


def write(logs, stream, *lines, group=GROUP):
    """Lines as a supervisor writes them: (epoch ms, text)."""
    path = logs.path(group, stream)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.writelines(f"{at} {text}\n".encode() for at, text in lines)
    return path


def texts(page):
    return [event.text for event in page.events]


def test_a_stream_is_read_from_its_head_in_pages(logs):
    write(logs, "job/algo-1", (1, "one"), (2, "two"), (3, "three"))
    first = logs.head(GROUP, "job/algo-1", ALWAYS, 2)
    assert [(event.at_ms, event.text) for event in first.events] == [(1, "one"), (2, "two")]
    second = logs.head(GROUP, "job/algo-1", ALWAYS, 2, first.after)
    assert texts(second) == ["three"]
    assert logs.head(GROUP, "job/algo-1", ALWAYS, 2, second.after).after == second.after


def test_what_is_written_later_follows(logs):
    write(logs, "a", (1, "one"))
    place = logs.head(GROUP, "a", ALWAYS, 10).after
    write(logs, "a", (2, "two"))
    assert texts(logs.head(GROUP, "a", ALWAYS, 10, place)) == ["two"]


def test_a_stream_is_read_from_its_tail_backwards(logs):
    write(logs, "a", *[(i, f"line {i}") for i in range(5)])
    last = logs.tail(GROUP, "a", ALWAYS, 2)
    assert texts(last) == ["line 3", "line 4"]
    middle = logs.tail(GROUP, "a", ALWAYS, 2, last.before)
    assert texts(middle) == ["line 1", "line 2"]
    first = logs.tail(GROUP, "a", ALWAYS, 2, middle.before)
    assert texts(first) == ["line 0"]
    nothing = logs.tail(GROUP, "a", ALWAYS, 2, first.before)
    assert (nothing.events, nothing.before) == ((), first.before)


def test_a_line_counts_once_it_is_whole(logs):
    path = write(logs, "a", (1, "one"))
    with path.open("ab") as file:
        file.write(b"2 tw")
    for read in (logs.head, logs.tail):
        assert texts(read(GROUP, "a", ALWAYS, 10)) == ["one"]
    with path.open("ab") as file:
        file.write(b"o\n")
    for read in (logs.head, logs.tail):
        assert texts(read(GROUP, "a", ALWAYS, 10)) == ["one", "two"]


def test_a_window_has_its_start_and_not_its_end(logs):
    write(logs, "a", *[(i, str(i)) for i in range(10)])
    window = Window(3, 6)
    for read in (logs.head, logs.tail):
        assert texts(read(GROUP, "a", window, 100)) == ["3", "4", "5"]
    assert texts(logs.head(GROUP, "a", window, 2)) == ["3", "4"]
    assert texts(logs.tail(GROUP, "a", window, 2)) == ["4", "5"]
    assert [event.text for event in logs.scan(GROUP, "a", window)] == ["3", "4", "5"]
    for empty in (Window(20), Window(None, 0), Window(5, 5)):
        assert texts(logs.head(GROUP, "a", empty, 5)) == texts(logs.tail(GROUP, "a", empty, 5)) == []


def test_going_back_ends_where_the_window_starts(logs):
    write(logs, "a", *[(i, str(i)) for i in range(10)])
    page = logs.tail(GROUP, "a", Window(5), 100)
    again = logs.tail(GROUP, "a", Window(5), 100, page.before)
    assert (again.events, again.before) == ((), page.before)


@pytest.mark.parametrize("at", [0, 1, 7, 4999, 5000, 9999, 10_000])
def test_a_moment_is_found_in_a_long_stream(logs, at):
    """Every moment has two lines; the file is many blocks long."""
    path = write(logs, "a", *[(i // 2, f"{i} {'x' * (i % 200)}") for i in range(20_000)])
    assert path.stat().st_size > 20 * BLOCK
    page = logs.head(GROUP, "a", Window(at), 3)
    assert [event.at_ms for event in page.events] == [t for t in (at, at, at + 1) if t < 10_000]
    tail = logs.tail(GROUP, "a", Window(None, at), 2)
    assert [event.at_ms for event in tail.events] == ([at - 1] * 2 if at else [])


def test_all_pages_together_are_the_stream_both_ways(logs):
    write(logs, "a", *[(i, f"{i} {'x' * (i * 37 % 3000)}") for i in range(3000)])
    forward, place = [], 0
    while page := logs.head(GROUP, "a", ALWAYS, 700, place):
        if page.after == place:
            break
        forward += [event.at_ms for event in page.events]
        place = page.after
    backward = []
    while page := logs.tail(GROUP, "a", ALWAYS, 700, place):
        if page.before == place:
            break
        backward = [event.at_ms for event in page.events] + backward
        place = page.before
    assert forward == backward == list(range(3000))


def test_a_page_is_no_larger_than_its_limit(logs):
    write(logs, "a", *[(i, "x" * 100_000) for i in range(30)])
    assert len(logs.head(GROUP, "a", ALWAYS, 100).events) == 11
    assert 10 <= len(logs.tail(GROUP, "a", ALWAYS, 100).events) <= 12


def test_a_line_longer_than_any_event_is_cut(logs):
    write(logs, "a", (1, "x" * (3 * LONGEST_LINE)), (2, "after"))
    page = logs.head(GROUP, "a", ALWAYS, 10)
    assert page.events[1].text == "after"
    assert len(page.events[0].text) == LONGEST_LINE - 2
    assert texts(logs.tail(GROUP, "a", ALWAYS, 1)) == ["after"]
    assert texts(logs.head(GROUP, "a", Window(2), 1)) == ["after"]


def test_blank_lines_are_left_out_and_others_kept_as_they_are(logs):
    write(logs, "a", (1, ""), (2, "  "), (3, "\tindented"), (4, "carriage\r"), (5, ""))
    page = logs.head(GROUP, "a", ALWAYS, 10)
    assert texts(page) == ["\tindented", "carriage"]
    assert logs.head(GROUP, "a", ALWAYS, 10, page.after).events == ()


def test_lines_in_another_format_are_shown_too(logs):
    path = write(logs, "a", (5, "one"))
    with path.open("ab") as file:
        file.write(b"no time here\n\xff\xfe bytes\n" + b"9" * 40 + b" long\n6 two\n")
    page = logs.head(GROUP, "a", ALWAYS, 10)
    assert [event.at_ms for event in page.events] == [5, 5, 5, 5, 6]
    assert texts(page)[1:3] == ["no time here", "\ufffd\ufffd bytes"]


@pytest.mark.parametrize("place", [1, 3, -1, 10**15])
def test_an_offset_must_be_the_start_of_a_line(logs, place):
    write(logs, "a", (1, "one"), (2, "two"))
    for read in (logs.head, logs.tail):
        with pytest.raises(InvalidOffset):
            read(GROUP, "a", ALWAYS, 10, place)


# ---- which streams there are ----


def test_streams_are_found_by_what_their_names_start_with(logs):
    for name in ("job-1/algo-1-17", "job-1/algo-2-17", "job-10/algo-1-18", "plain"):
        write(logs, name, (1, "x"))
    assert [name for name, _ in logs.names(GROUP)] == [
        "job-1/algo-1-17",
        "job-1/algo-2-17",
        "job-10/algo-1-18",
        "plain",
    ]
    assert [name for name, _ in logs.names(GROUP, "job-1/")] == ["job-1/algo-1-17", "job-1/algo-2-17"]
    assert [name for name, _ in logs.names(GROUP, "job-1")] == [
        "job-1/algo-1-17",
        "job-1/algo-2-17",
        "job-10/algo-1-18",
    ]
    assert [name for name, _ in logs.names(GROUP, "job-1/algo-2")] == ["job-1/algo-2-17"]
    for nothing in ("job-2/", "../", "job-1/../", "/", "job-1//", "x" * 5000 + "/"):
        assert logs.names(GROUP, nothing) == []


def test_a_stream_has_the_times_of_its_first_and_last_event(logs):
    path = write(logs, "a", (1, ""), (2, "one"), (9, "two"), (9, ""))
    stream = logs.stream(GROUP, "a")
    assert (stream.created_ms, stream.first_ms, stream.last_ms) == (2, 2, 9)
    assert stream.size_bytes == path.stat().st_size
    write(logs, "empty")
    empty = logs.stream(GROUP, "empty")
    assert (empty.first_ms, empty.last_ms) == (None, None)
    assert empty.created_ms == empty.modified_ms > 0


def test_groups_are_folders_and_each_endpoint_has_its_own(logs):
    assert logs.groups() == []
    write(logs, "job/algo-1", (1, "x"))
    write(logs, "AllTraffic/i-1", (1, "x"), group="/aws/sagemaker/Endpoints/e-1")
    assert logs.groups() == ["/aws/sagemaker/Endpoints/e-1", GROUP]
    assert logs.groups("/aws/sagemaker/T") == [GROUP]


# ---- hostile names ----


@pytest.mark.parametrize(
    "group",
    ["/aws/../..", "/..", "/", "", "aws/sagemaker/TrainingJobs", "//etc", "/a\x00", "/" + "x" * 5000, "/\ud800"],
)
def test_no_group_leads_outside(logs, group):
    write(logs, "a", (1, "x"))
    logs.root.with_name("secret.log").write_text("1 secret\n")
    for read in (lambda: logs.names(group), lambda: logs.stream(group, "a"), lambda: logs.head(group, "a", ALWAYS, 1)):
        with pytest.raises(LogNotFound):
            read()


@pytest.mark.parametrize(
    "stream",
    ["../../../../secret", "a/../../a", ".", "..", "", "/a", "a/", "a//b", "a\x00", "x" * 5000, "\ud800", "no"],
)
def test_no_stream_leads_outside(logs, stream):
    write(logs, "a", (1, "x"))
    logs.root.with_name("secret.log").write_text("1 secret\n")
    for read in (logs.head, logs.tail):
        with pytest.raises(LogNotFound):
            read(GROUP, stream, ALWAYS, 1)


def test_only_plain_files_are_streams(logs, tmp_path):
    path = write(logs, "a", (1, "x"))
    (path.parent / "folder.log").mkdir()
    (tmp_path / "secret").write_text("1 secret\n")
    (path.parent / "link.log").symlink_to(tmp_path / "secret")
    assert [name for name, _ in logs.names(GROUP)] == ["a"]
    for name in ("folder", "link"):
        with pytest.raises(LogNotFound):
            logs.head(GROUP, name, ALWAYS, 1)
