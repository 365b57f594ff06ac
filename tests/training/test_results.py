"""Results reach the table whole, and the page without a word that flatters."""

import csv
import math
import statistics
from dataclasses import astuple, fields

import pytest
from html_page import Page
from matplotlib.figure import Figure

from qgis_sslkd.core.metrics import Scores
from qgis_sslkd.core.models.costs import Costs
from qgis_sslkd.training.reports.results import SCORE_TITLES, Result, summarise, write_page, write_table

LARGE, SMALL = Costs(45_670_123, 56.0312, 9.256), Costs(26_680_000, 36.6, 120.4)
NAN = math.nan


def scored(iou, oa=0.9, precision=0.7):
    return Scores(oa, precision, 0.6, iou, 2 * iou / (1 + iou), 0.5, 0.4)


def result(method, seed, scores, split="test", costs=SMALL, seconds=60.0):
    return Result(method, seed, split, scores, costs, seconds, "CPU, 2 threads", "0.1.0")


def written_page(folder, results, facts=None, figures=None, title="A comparison"):
    write_page(folder / "table.html", title, facts or {}, results, figures or {})
    return Page((folder / "table.html").read_text(encoding="utf-8"))


def test_every_score_has_a_title_in_the_order_of_the_scores():
    assert list(SCORE_TITLES) == [field.name for field in fields(Scores)]


def test_table(tmp_path):
    write_table(
        tmp_path / "table.csv",
        [
            result("S, CMS", 1, Scores(0.95, 0.81239, 0.5, 2 / 3, 0.8, 0.80001, 0.9), "validation", LARGE),
            result("T1 é", 0, Scores(0.9, NAN, 0, 0, 0, NAN, NAN)),
        ],
    )
    made = '60,"CPU, 2 threads",0.1.0'
    assert (tmp_path / "table.csv").read_text(encoding="utf-8").splitlines() == [
        "method,seed,split,oa,precision,recall,iou,f1,macro_iou,macro_f1,params,gflops,images_per_s,train_s,device,sslkd",
        f'"S, CMS",1,validation,0.9500,0.8124,0.5000,0.6667,0.8000,0.8000,0.9000,45670123,56.03,9.26,{made}',
        f"T1 é,0,test,0.9000,,0.0000,0.0000,0.0000,,,26680000,36.60,120.40,{made}",
    ]


def test_table_keeps_the_order_and_is_whole_or_not_there(tmp_path):
    results = [result(method, seed, scored(0.5)) for seed in (2, 0) for method in ("b", "a")]
    write_table(tmp_path / "table.csv", iter(results))
    with (tmp_path / "table.csv").open(newline="") as file:
        assert [(row["method"], row["seed"]) for row in csv.DictReader(file)] == [
            ("b", "2"),
            ("a", "2"),
            ("b", "0"),
            ("a", "0"),
        ]

    def failing():
        yield results[0]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_table(tmp_path / "other.csv", failing())
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_mean_and_spread_over_seeds():
    ious = [0.61, 0.66, 0.64]
    runs = [result("S", seed, scored(iou), seconds=60 * (seed + 1)) for seed, iou in enumerate(ious)]
    (summary,) = summarise(runs, "test")
    assert (summary.method, summary.seeds, summary.seconds) == ("S", 3, 120)
    assert summary.mean.iou == pytest.approx(statistics.mean(ious))
    assert summary.spread.iou == pytest.approx(statistics.stdev(ious))
    assert (summary.mean.recall, summary.spread.recall) == (pytest.approx(0.6), pytest.approx(0, abs=1e-12))


def test_the_pace_is_a_mean_and_the_network_is_the_same():
    runs = [result("S", seed, scored(0.6), costs=Costs(10, 2.5, pace)) for seed, pace in enumerate((4.0, 6.0))]
    assert summarise(runs, "test")[0].costs == Costs(10, 2.5, 5.0)


def test_methods_keep_the_order_of_their_first_appearance_and_splits_apart():
    order = [("b", "test"), ("a", "validation"), ("c", "test"), ("a", "test"), ("b", "test"), ("b", "validation")]
    results = [result(method, seed, scored(0.5), split) for seed, (method, split) in enumerate(order)]
    assert [(each.method, each.seeds) for each in summarise(results, "test")] == [("b", 2), ("c", 1), ("a", 1)]
    assert [(each.method, each.seeds) for each in summarise(results, "validation")] == [("a", 1), ("b", 1)]


def test_an_undefined_score_of_one_seed_is_not_dropped():
    (summary,) = summarise([result("S", seed, scored(0.5, precision=p)) for seed, p in enumerate((0.8, NAN))], "test")
    assert math.isnan(summary.mean.precision)
    assert math.isnan(summary.spread.precision)
    assert summary.mean.iou == 0.5


def test_one_seed_has_no_spread():
    (summary,) = summarise([result("S", 0, scored(0.5))], "test")
    assert all(map(math.isnan, astuple(summary.spread)))


def test_page_has_a_row_a_method_for_both_splits(tmp_path):
    results = [
        result("T1 <&>", 0, scored(0.60), costs=LARGE, seconds=90),
        result("T1 <&>", 1, scored(0.64), costs=LARGE, seconds=150),
        result("S", 0, scored(0.7, precision=NAN)),
        result("S", 0, scored(0.8), "validation"),
    ]
    page = written_page(tmp_path, results)
    _, (head, *rows), (same_head, *validation) = page.tables
    assert head == same_head
    costs = ["Parameters", "GFLOPs", "Images per second", "Training time"]
    assert head == ["Method", "Seeds", *SCORE_TITLES.values(), *costs]
    assert rows[0][:3] == ["T1 <&>", "2", "0.900 ± 0.000"]
    assert rows[0][head.index("IoU")] == "0.620 ± 0.028"
    assert rows[0][-4:] == ["45.7 M", "56.0", "9.3", "2.0 min"]
    assert rows[1][:6] == ["S", "1", "0.900", "undefined", "0.600", "0.700"]
    assert rows[1][-4:] == ["26.7 M", "36.6", "120", "1.0 min"]
    assert [row[0] for row in validation] == ["S"]


def test_the_best_of_each_column_is_bold_and_so_is_what_reads_the_same(tmp_path):
    ious = {"low": 0.61, "best": 0.7204, "reads the same": 0.7196, "undefined": NAN}
    results = [result(method, 0, scored(iou, oa=0.9 + iou / 100)) for method, iou in ious.items()]
    bold = written_page(tmp_path, results).bold
    assert bold.count("0.720") == 2
    assert "0.610" not in bold
    assert "nan" not in bold


def test_titles_of_the_tables_are_heads_not_rows_which_are_wider(tmp_path):
    page = written_page(tmp_path, [result("S", 0, scored(0.5), split) for split in ("test", "validation")])
    assert [tag for tag in page.tags if tag in ("thead", "th", "tbody", "td")] == 2 * (
        ["thead", *["th"] * 13, "tbody", *["td"] * 13]
    )


def test_page_without_a_validation_has_no_table_of_it(tmp_path):
    page = written_page(tmp_path, [result("S", 0, scored(0.5))])
    assert len(page.tables) == 2
    assert "validation area" not in (tmp_path / "table.html").read_text()


def test_page_tells_its_facts_and_needs_no_other_file(tmp_path):
    figure = Figure()
    figure.subplots().plot([0, 1])
    facts = {"Device": "a CPU", "Command": "sslkd compare <rows> & more"}
    figures = {'Bars of "IoU"': figure, "Nothing": Figure()}
    page = written_page(tmp_path, [result("S", 0, scored(0.5))], facts, figures, "Roads <&>")
    assert page.tables[0] == [["Device", "a CPU"], ["Command", "sslkd compare <rows> & more"]]
    assert [image["alt"] for image in page.images] == list(figures)
    assert len(page.loaded) == 2
    assert all(each.startswith("data:image/png;base64,") for each in page.loaded)
    text = (tmp_path / "table.html").read_text()
    assert "://" not in text  # a colon is no part of base64
    assert "<h1>Roads &lt;&amp;&gt;</h1>" in text
    assert [path.name for path in tmp_path.iterdir()] == ["table.html"]
