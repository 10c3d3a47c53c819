import pytest
from report_cases import make_report

from edgeseg.report.results import Report


@pytest.fixture
def report() -> Report:
    return make_report()
