"""systemd units: what keeps a site or a coordinator running over reboots."""

_UNIT = """\
[Unit]
Description={description}
After=network-online.target
Wants=network-online.target

[Service]
# Put the directory where it was made, and the user it belongs to.
User=consortium
ExecStart=/usr/bin/env consortium {role} up {directory}
Restart=on-failure
RestartSec=5
KillMode=mixed
UMask=0077
NoNewPrivileges=true
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=true
ReadWritePaths={directory}

[Install]
WantedBy=multi-user.target
"""


def site(name: str) -> str:
    """Return the unit of a site's SuperNode."""
    return _UNIT.format(
        description=f"Site {name} of a consortium", role="site", directory=f"/srv/consortium/{name}"
    )


def coordinator(name: str) -> str:
    """Return the unit of the coordinator's SuperLink."""
    return _UNIT.format(
        description=f"Coordinator of the consortium {name}",
        role="coordinator",
        directory="/srv/consortium/coordinator",
    )
