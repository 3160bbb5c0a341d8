"""Which processes the suite consists of, embedded and split; docker-compose.yml has the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.cli.environment import Suite
from services.suite import SERVICES


@dataclass(frozen=True)
class Process:
    """One process: the command that it runs, and where it can be asked how it is."""

    name: str
    command: tuple[str, ...]  # arguments of `countersign`
    ops_port: int
    ports: Mapping[str, int]  # every port that it listens on, by setting
    variables: Mapping[str, str] = field(repr=False)


def embedded(suite: Suite) -> tuple[Process, ...]:
    """Return the suite as one process for all APIs and one for all background work."""
    return (
        _serving("web", SERVICES, suite, ports=("PORT", "AUDIT_PORT")),
        _working("worker", SERVICES, suite),
    )


def split(suite: Suite) -> tuple[Process, ...]:
    """Return the suite as in production: each service and each worker a process of its own."""
    return tuple(
        process
        for service in SERVICES
        for process in (
            _serving(service, (service,), suite, ports=(port_name(service),)),
            _working(f"{service}-worker", (service,), suite),
        )
    )


def port_name(service: str) -> str:
    """Return the setting that says on which port a service listens."""
    return "PORT" if service == "session" else f"{service.upper()}_PORT"


def ops_port_name(services: tuple[str, ...], *, worker: bool = False) -> str:
    """Return the setting that says where a process that runs `services` answers operators."""
    return f"{services[0].upper()}_{'WORKER_' if worker else ''}OPS_PORT"


def _serving(
    name: str, services: tuple[str, ...], suite: Suite, *, ports: tuple[str, ...]
) -> Process:
    ops_port = ops_port_name(services)
    return Process(
        name=name,
        command=("serve", *services),
        ops_port=suite.port(ops_port),
        ports={port: suite.port(port) for port in (*ports, ops_port)},
        variables=suite.for_owners(*services),
    )


def _working(name: str, services: tuple[str, ...], suite: Suite) -> Process:
    ops_port = ops_port_name(services, worker=True)
    return Process(
        name=name,
        command=("worker", *services),
        ops_port=suite.port(ops_port),
        ports={ops_port: suite.port(ops_port)},
        variables=suite.for_owners(*services),
    )
