"""Dates of pregnancy."""

from datetime import date, timedelta

from medxiaohe.errors import ToolError
from medxiaohe.tools.calculation.declare import calculator, day, number

PARIKH = "Naegele's rule with the length of the cycle: Parikh 2007, doi:10.1080/01443610701562006"
CYCLE = number("length of the cycle", "days", 20, 45, default=28.0)
LAST = day("first day of the last menstrual period")


def shown(value: date) -> str:
    """Format a date as month/day/year.

    Returns:
        such as 03/31/2006.
    """
    return value.strftime("%m/%d/%Y")


@calculator("Estimated due date", "date", PARIKH, limits="regular cycles", last_period=LAST, cycle=CYCLE)
def due_date(*, last_period: date, cycle: float) -> str:
    """Compute the due date: last period + 280 days, and as many days more as the cycle is longer than 28.

    Args:
        last_period: first day of the last menstrual period.
        cycle: length of the cycle, days. 28 where it is left out.

    Returns:
        month/day/year.
    """
    return shown(last_period + timedelta(days=280 + round(cycle) - 28))


@calculator(
    "Estimated date of conception", "date", PARIKH, limits="regular cycles", last_period=LAST, cycle=CYCLE
)
def conception_date(*, last_period: date, cycle: float) -> str:
    """Compute the date of conception: last period + 14 days, and as many days more as the cycle is longer
    than 28.

    Args:
        last_period: first day of the last menstrual period.
        cycle: length of the cycle, days. 28 where it is left out.

    Returns:
        month/day/year.
    """
    return shown(last_period + timedelta(days=14 + round(cycle) - 28))


@calculator(
    "Gestational age",
    "weeks and days",
    "ACOG Committee Opinion 700, 2017, doi:10.1097/AOG.0000000000002046",
    limits="up to 44 weeks",
    last_period=LAST,
    today=day("the date to count to"),
)
def gestational_age(*, last_period: date, today: date) -> str:
    """Compute the time since the first day of the last period.

    Args:
        last_period: first day of the last menstrual period.
        today: the date to count to.

    Returns:
        "W weeks, D days".

    Raises:
        ToolError: the dates are less than 0 or more than 308 days (44 weeks) apart.
    """
    days = (today - last_period).days
    if not 0 <= days <= 44 * 7:
        raise ToolError(
            f"gestational_age: {shown(today)} is {days} days after {shown(last_period)}: 0 to 308 are"
        )
    return f"{days // 7} weeks, {days % 7} days"
