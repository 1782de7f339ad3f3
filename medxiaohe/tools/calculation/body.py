"""Body size and fluids."""

from math import sqrt

from medxiaohe.tools.calculation.declare import HEIGHT, SEX, WEIGHT, calculator, number

INCH = 2.54  # cm


@calculator(
    "Body mass index",
    "kg/m2",
    "Keys et al. 1972, doi:10.1016/0021-9681(72)90027-6",
    weight=WEIGHT,
    height=HEIGHT,
)
def body_mass_index(*, weight: float, height: float) -> float:
    """Compute the body mass index: weight / height^2.

    Args:
        weight: body weight, kg.
        height: in cm.

    Returns:
        kg/m2.
    """
    return weight / (height / 100) ** 2


@calculator(
    "Ideal body weight",
    "kg",
    "Devine 1974; Pai and Paloucek 2000, doi:10.1345/aph.19381",
    limits="adults; below 152 cm the line is continued, which nobody validated",
    sex=SEX,
    height=HEIGHT,
)
def ideal_weight(*, sex: str, height: float) -> float:
    """Compute the ideal body weight: 50 kg (men) or 45.5 kg (women) + 2.3 kg for each inch of height over 60.

    Args:
        height: in cm.

    Returns:
        kg; below 60 inches the same line is continued downwards.
    """
    return (50 if sex == "male" else 45.5) + 2.3 * (height / INCH - 60)


@calculator(
    "Adjusted body weight",
    "kg",
    "Bauer et al. 1983, doi:10.1007/BF00542520; ideal weight of Devine 1974",
    limits="adults above their ideal weight",
    sex=SEX,
    weight=WEIGHT,
    height=HEIGHT,
)
def adjusted_weight(*, sex: str, weight: float, height: float) -> float:
    """Compute the adjusted body weight: ideal weight + 0.4 (actual weight - ideal weight).

    Args:
        weight: body weight, kg.
        height: in cm.

    Returns:
        kg.
    """
    ideal = float(ideal_weight.run(sex=sex, height=height))
    return ideal + 0.4 * (weight - ideal)


@calculator(
    "Target weight for a body mass index",
    "kg",
    "Keys et al. 1972, doi:10.1016/0021-9681(72)90027-6",
    body_mass_index=number("target body mass index", "kg/m^2", 10, 60),
    height=HEIGHT,
)
def target_weight(*, body_mass_index: float, height: float) -> float:
    """Compute the weight at which a body mass index is reached: index x height^2.

    Args:
        body_mass_index: target body mass index, kg/m^2.
        height: in cm.

    Returns:
        kg.
    """
    return body_mass_index * (height / 100) ** 2


@calculator(
    "Body surface area (Mosteller)",
    "m2",
    "Mosteller 1987, doi:10.1056/NEJM198710223171717",
    weight=WEIGHT,
    height=HEIGHT,
)
def body_surface_area(*, weight: float, height: float) -> float:
    """Compute the body surface area: sqrt(weight x height / 3600), in kg and cm.

    Args:
        weight: body weight, kg.
        height: in cm.

    Returns:
        m2.
    """
    return sqrt(weight * height / 3600)


@calculator(
    "Maintenance fluids (4-2-1 rule)",
    "mL/h",
    "Holliday and Segar 1957, doi:10.1542/peds.19.5.823",
    limits="patients without ongoing losses, renal or cardiac failure",
    weight=WEIGHT,
)
def maintenance_fluids(*, weight: float) -> float:
    """Compute maintenance fluids: 4 mL/h for each of the first 10 kg, 2 for each of the next 10, 1 for each
    further kg.

    Args:
        weight: body weight, kg.

    Returns:
        mL/h.
    """
    return 4 * min(weight, 10) + 2 * min(max(weight - 10, 0), 10) + max(weight - 20, 0)
