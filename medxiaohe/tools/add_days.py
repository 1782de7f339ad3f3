"""A date so many days later or earlier."""

from datetime import datetime, timedelta

from medxiaohe.errors import ToolError
from medxiaohe.tools import tool


@tool(example={"date": "12/11/2013", "days": 280})
def add_days(date: str, days: int) -> str:
    """The date (month/day/year) that is `days` after the given one; a negative number goes back."""
    try:
        return (datetime.strptime(date.strip(), "%m/%d/%Y") + timedelta(days=days)).strftime("%m/%d/%Y")
    except (ValueError, OverflowError) as error:
        raise ToolError(
            f"{date!r} and {days} days: give a date as month/day/year, such as 03/31/2006 ({error})"
        ) from error
