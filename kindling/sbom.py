"""An image's software bill of materials (SBOM): its Debian and Python packages, as CycloneDX 1.6 JSON.

What an image holds is asked of the image itself, so it is also right where the package index gave another build than
the lock file's author had.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from docker.errors import ContainerError
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from kindling.errors import UserError

# Run by the image's Python, which has nothing but its standard library for sure.
_INVENTORY = r"""
import json, platform, subprocess
from importlib.metadata import distributions

def of(package):
    said = package.metadata
    classifiers = [c.rpartition(" :: ")[2] for c in said.get_all("Classifier", []) if c.startswith("License ::")]
    license = said.get("License-Expression") or (said.get("License") or "").strip() or ", ".join(classifiers)
    return {
        "name": package.name, "version": package.version, "license": license.partition("\n")[0],
        "requires": package.requires or [],
    }

form = "${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\t${Pre-Depends}, ${Depends}\n"
try:
    debian = subprocess.run(["dpkg-query", "-W", "-f", form], capture_output=True, text=True, check=True).stdout
except FileNotFoundError:
    debian = ""
print(json.dumps({
    "python": [of(package) for package in distributions()], "debian": debian,
    "system": platform.freedesktop_os_release(), "interpreter": platform.python_version(),
}))
"""
_FIRST_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9+._-]*)")


def bill_of(client: Any, image: str, name: str) -> str:
    """The SBOM of an image, a CycloneDX document.

    Args:
        client: a docker.DockerClient.
        image: by name or id; a Linux image with Python.
        name: what the document calls the image.
    Raises:
        UserError: the image cannot be asked.
    """
    try:
        said = client.containers.run(
            image, ["-c", _INVENTORY], entrypoint=["python3"], network_mode="none", remove=True
        )
    except ContainerError as error:
        reason = error.stderr.decode(errors="replace").strip()[-500:]
        raise UserError(f"{name} does not tell what it holds: {reason}") from None
    found = json.loads(said)
    subject = Component(name=name, version=str(client.images.get(image).id), type=ComponentType.CONTAINER)
    bom = Bom()
    bom.metadata.component = subject
    system = found["system"]
    distribution = f"{system.get('ID', 'linux')}-{system.get('VERSION_ID', '')}".rstrip("-")
    # Beside its version each package has the line or the list that says what it needs.
    packages = [
        *_linked(bom, _debian(found["debian"], system.get("ID", "debian"), distribution)),
        *_linked(bom, _python(found["python"])),
    ]
    version = found["interpreter"]
    python = Component(
        name="python", version=version, purl=PackageURL("generic", None, "python", version), type=ComponentType.PLATFORM
    )
    bom.components.add(python)  # for it need not be one of Debian's packages
    bom.register_dependency(subject, [python, *packages])
    return JsonV1Dot6(bom).output_as_string(indent=2)


def _debian(listed: str, vendor: str, distribution: str) -> Iterable[tuple[Component, list[str]]]:
    for line in listed.splitlines():
        status, name, version, architecture, needs = line.split("\t")
        if status != "installed":
            continue
        qualifiers = {"arch": architecture, "distro": distribution}
        purl = PackageURL("deb", vendor, name, version, qualifiers)
        component = Component(name=name, version=version, purl=purl, bom_ref=str(purl), type=ComponentType.LIBRARY)
        yield component, needs.split(",")


def _python(listed: Iterable[Mapping[str, Any]]) -> Iterable[tuple[Component, list[str]]]:
    licenses = LicenseFactory()
    seen = set()
    for package in listed:
        name = canonicalize_name(package["name"])
        if name in seen:  # the one that is found first is imported
            continue
        seen.add(name)
        purl = PackageURL("pypi", None, name, package["version"])
        component = Component(
            name=package["name"],
            version=package["version"],
            purl=purl,
            bom_ref=str(purl),
            type=ComponentType.LIBRARY,
            licenses=[licenses.make_from_string(package["license"])] if package["license"] else [],
        )
        # Requirements of an extra were not necessarily asked for.
        yield component, [need for need in package["requires"] if "extra ==" not in need]


def _linked(bom: Bom, packages: Iterable[tuple[Component, list[str]]]) -> list[Component]:
    """Note the packages and, among them, who needs whom; of alternatives the first counts."""
    known = {canonicalize_name(component.name): (component, needs) for component, needs in packages}
    for component, needs in known.values():
        bom.components.add(component)
        names = [canonicalize_name(found[1]) for need in needs if (found := _FIRST_NAME.match(need))]
        bom.register_dependency(component, [known[name][0] for name in names if name in known])
    return [component for component, _ in known.values()]
