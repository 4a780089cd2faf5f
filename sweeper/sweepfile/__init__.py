"""From a YAML file to a `Sweep`: read strictly, with every mistake named at its line."""
