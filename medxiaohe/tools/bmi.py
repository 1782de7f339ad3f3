"""Body mass index."""

from medxiaohe.errors import ToolError
from medxiaohe.tools import tool


@tool(example={"weight_kg": 70.0, "height_m": 1.75})
def bmi(weight_kg: float, height_m: float) -> str:
    """Body mass index in kg/m2, from weight in kilograms and height in metres."""
    if not 0.2 <= weight_kg <= 700 or not 0.2 <= height_m <= 2.8:
        raise ToolError(f"{weight_kg} kg and {height_m} m are not of a person: give kilograms and metres")
    return f"{weight_kg / height_m**2:.1f}"
