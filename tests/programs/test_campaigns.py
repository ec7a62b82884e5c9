"""The long campaigns: what they run, and what their report admits."""

from tests.programs.campaigns import CAMPAIGNS, ROOT, Ran, report


def test_every_campaign_names_tests_that_exist() -> None:
    for campaign in CAMPAIGNS:
        paths = [ROOT / word for word in campaign.words if word.startswith("tests/")]
        assert paths
        assert all(path.exists() for path in paths), campaign.name


def test_counts_shrink_with_the_scale_and_never_to_nothing() -> None:
    campaign = CAMPAIGNS[0]
    assert campaign.settings(7, 0.1) == {
        "OSSFS_TEST_SEED": "7",
        "OSSFS_TEST_FILE_OPERATIONS": "10000",
    }
    assert campaign.settings(7, 1e-9)["OSSFS_TEST_FILE_OPERATIONS"] == "1"


def test_the_report_says_what_failed_what_was_shortened_and_what_was_not_run() -> None:
    ran = Ran(
        campaign=CAMPAIGNS[0],
        settings=CAMPAIGNS[0].settings(7, 0.1),
        tests=2,
        failed=("`test_x[1]`",),
        seconds=61.2,
        status=1,
    )
    page = report([ran], ["one file", "tools"], "./scripts/soak --seed 7 --scale 0.1", 0.1)
    assert "Command: `./scripts/soak --seed 7 --scale 0.1`" in page
    assert "Scale: 0.1 of the full counts, so shorter than a whole soak" in page
    counts = "seed 7, file_operations 10000"
    assert f"| one file | {counts} | 2 | 1:01 | **FAILED**: `test_x[1]` |" in page
    assert "| tools | | | | not run |" in page
