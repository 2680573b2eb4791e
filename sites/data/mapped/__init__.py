"""What the sources that a declared map reads have in common: FHIR resources, OMOP tables."""
