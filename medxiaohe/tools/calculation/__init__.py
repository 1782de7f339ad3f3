"""Clinical calculators: published formulae as pure functions, with units, limits and citations; one module
for each family. The tool `calculators` offers them to a model; `registry.find` gives one by its name."""
