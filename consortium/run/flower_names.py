"""Names in the environment by which Flower's processes know whose they are."""

SITE = "CONSORTIUM_SITE_DIR"
COORDINATOR = "CONSORTIUM_COORDINATOR_DIR"
