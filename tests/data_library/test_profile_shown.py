"""A profile as people see it: on a terminal, in a browser, in a notebook, from the command line."""

import json
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from clary.cli.profile import NotProfiled, command
from clary.data.errors import DataError
from clary.data.profiling import formatting, profile

N = 400
RANDOM = np.random.default_rng(6)
HOSTILE = "<script>alert('x')</script>\"&\x1b[2J"


def frame():
    x = RANDOM.normal(size=N)
    return pd.DataFrame(
        {
            "x": np.where(RANDOM.random(N) < 0.1, np.nan, x),
            "z": x + RANDOM.normal(size=N),
            "city": RANDOM.choice(["Graz", "Wien", None], N),
            "when": pd.Timestamp("2020-01-01") + pd.to_timedelta(RANDOM.integers(0, 10**7, N), "s"),
            "flag": x > 0.3,
            "comment": [f"this is what row {i} says" for i in range(N)],
            "y": (x + RANDOM.normal(size=N) > 0).astype(int),
        }
    )


class Page(HTMLParser):
    """What stands in a page, and whether its tags close."""

    VOID = frozenset({"meta", "input", "img", "br", "link", "rect", "line"})

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links, self.words, self._open = [], [], [], [], []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append((tag, given))
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if "href" in given else []
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attrs for one, attrs in self.tags if one == tag]


@pytest.fixture(scope="module")
def page():
    return Page(profile(frame(), "y", columns_to_plot=["x", "z"]).to_html())


# ---- the report ----


def test_the_report_needs_nothing_else(page):
    for tag in ("link", "iframe", "object"):
        assert not page.all(tag)
    assert all("src" not in attrs for attrs in page.all("script"))
    assert all(attrs["src"].startswith("data:") for attrs in page.all("img"))
    assert all(link.startswith("#") for link in page.links)
    policy = next(attrs["content"] for attrs in page.all("meta") if attrs.get("http-equiv"))
    assert policy.startswith("default-src 'none'")


def test_the_report_can_be_read_without_seeing_it(page):
    assert page.all("html")[0]["lang"] == "en"
    assert page.all("main")
    assert page.all("nav")[0]["aria-label"]
    assert page.all("header")
    assert all(attrs.get("scope") in ("col", "row") for attrs in page.all("th"))
    assert all(attrs["role"] == "img" and attrs["aria-label"].endswith(".") for attrs in page.all("svg"))
    assert all(attrs["alt"] for attrs in page.all("img"))
    assert len(page.all("figure")) == len(page.all("figcaption"))
    assert len(page.all("table")) == len(page.all("caption"))


def test_links_lead_to_what_is_there(page):
    assert len(set(page.ids)) == len(page.ids)
    assert {link[1:] for link in page.links} <= set(page.ids)


def test_the_report_has_every_chart(page):
    titles = " ".join(attrs["aria-label"] for attrs in page.all("svg"))
    assert titles.count("Histogram of") == 4  # x, z, y and the times
    assert titles.count("Box plot: quartiles") == 3
    assert "Missing values of 2 columns over 400 rows" in titles
    assert "Scatter plots of each pair of x, z" in page.all("img")[0]["alt"]
    said = " ".join(page.words)
    for heading in ("Pearson's r", "Spearman's ρ", "Target: y", "A recipe to begin with"):
        assert heading in said
    assert len([one for one in page.all("span") if one.get("class") == "bar"]) > 4


def test_bars_are_as_high_as_their_counts():
    found = profile(pd.DataFrame({"a": [1, 1, 1, 2, 5]}))
    assert found["a"].numbers.histogram.counts == (3, 1, 0, 0, 1)
    bars = [one for one in Page(found.to_html()).all("rect") if one["class"] == "mark"]
    heights = [float(one["height"]) for one in bars]
    assert np.array(heights) / heights[0] == pytest.approx([1, 1 / 3, 1 / 3], abs=0.01)


def test_nothing_from_the_table_is_code():
    table = pd.DataFrame({HOSTILE: [HOSTILE] * 30 + [None] * 5, "n": [*range(34), np.nan]})
    text = profile(table, columns_to_plot=["n"]).to_html()
    assert "<script>alert" not in text
    assert "\x1b" not in text
    assert "&lt;script&gt;" in text
    assert len(Page(text).all("script")) == 1


def test_a_report_of_nothing_is_a_report():
    for table in (pd.DataFrame(), pd.DataFrame({"a": []}), pd.DataFrame({"a": [None]})):
        assert Page(profile(table).to_html()).all("main")


def test_the_report_is_written_to_a_file(tmp_path):
    found = profile(frame())
    assert found.save_html(tmp_path / "report.html").read_text(encoding="utf-8") == found.to_html()
    with pytest.raises(DataError, match=r"cannot be written to .*No such file"):
        found.save_html(tmp_path / "nowhere" / "report.html")


def test_in_a_notebook_the_report_stands_in_a_frame_of_its_own():
    found = profile(pd.DataFrame({HOSTILE: [1]}))
    framed = Page(found._repr_html_()).all("iframe")
    assert framed[0]["srcdoc"] == found.to_html()


# ---- the terminal ----


def test_the_summary_tells_the_table_its_columns_and_its_faults():
    text = str(profile(frame(), "y"))
    assert text.startswith("400 rows × 7 columns")
    assert "Graz" in text
    assert "impute" in text
    assert "balanced accuracy" in text
    assert max(map(len, text.splitlines())) <= 120


def test_nothing_from_the_table_steers_the_terminal():
    text = str(profile(pd.DataFrame({HOSTILE: [HOSTILE, None], "[red]": ["[bold]", "x"]})))
    assert "\x1b" not in text
    assert "[red]" in text
    assert "[bold]" in text


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0, "0"), (12345.678, "12346"), (2_000_000.0, "2,000,000"), (1e-7, "1e-07"), (np.nan, "–"), (np.inf, "∞")],
)
def test_numbers_are_short(value, said):
    assert formatting.number(value) == said


@pytest.mark.parametrize(
    ("part", "of", "said"),
    [(0, 9, "0%"), (9, 9, "100%"), (1, 3, "33.3%"), (1, 10**6, "<0.1%"), (10**6 - 1, 10**6, ">99.9%"), (0, 0, "–")],
)
def test_shares_are_never_rounded_to_none_or_all(part, of, said):
    assert formatting.share(part, of) == said


# ---- the command ----


@pytest.fixture
def file(tmp_path):
    frame().to_csv(tmp_path / "table.csv", index=False)
    return str(tmp_path / "table.csv")


def ran(*arguments):
    return CliRunner().invoke(command, arguments, catch_exceptions=True)


def test_the_command_prints_a_summary(file):
    done = ran(file)
    assert done.exit_code == 0
    assert done.stdout.startswith("400 rows × 7 columns")


def test_the_command_prints_json(file):
    read = json.loads(ran(file, "--json", "--target", "y").stdout)
    assert (read["rows"], read["target"]["column"]) == (400, "y")


def test_the_command_writes_the_report(file, tmp_path):
    done = ran(file, "--html", str(tmp_path / "r.html"), "--plot", "x", "--plot", "z", "--json")
    assert json.loads(done.stdout)["rows"] == 400
    assert "The report is" in done.stderr
    assert "Pair plot" in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.csv"], "nowhere.csv cannot be read"),
        (["{file}", "--target", "nothing"], "there is no column 'nothing'"),
        (["{file}", "--plot", "nothing"], "there is no column 'nothing'"),
        (["{file}", "--html", "/no/such/folder/r.html"], "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(file, arguments, says):
    done = ran(*(argument.format(file=file) for argument in arguments))
    assert isinstance(done.exception, NotProfiled)
    assert says in str(done.exception)
    assert "\n" not in str(done.exception)
