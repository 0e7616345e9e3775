"""Names and where they live. A row is imported only when somebody asks for it.

Third parties add rows through the entry-point groups `lemari.variants` and `lemari.networks`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points

from lemari.errors import UsageError


def nearest(name: str, known: Iterable[str], what: str) -> str:
    """The sentence that answers a wrong name: the nearest right one and the whole list."""
    known = list(known)
    if not known:
        return f"There is no {what} {name!r}: this model knows none; leave it out."
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    guess = f"; did you mean {close[0]!r}?" if close else "."
    return f"There is no {what} {name!r}{guess} Known: {', '.join(known)}."


def broken(what: str, point: EntryPoint, why: str) -> str:
    """The sentence for a row of another package that cannot be loaded."""
    package = point.dist.name if point.dist else "another package"
    return (
        f"The {what} {point.name!r} of {package} ({point.value}) cannot be loaded: {why}. Mend or "
        "uninstall that package."
    )


class Registry(Mapping[str, Callable]):
    """name -> "module:function", resolved when asked for."""

    def __init__(self, what: str, group: str, rows: dict[str, str]) -> None:
        self.what, self.group, self.builtin = what, group, rows

    @cached_property
    def rows(self) -> dict[str, EntryPoint]:
        """Built-in rows first; an installed package may add names but never replace one."""
        own = {name: EntryPoint(name, at, self.group) for name, at in self.builtin.items()}
        found = {point.name: point for point in entry_points(group=self.group)}
        return own | {name: point for name, point in found.items() if name not in own}

    def __getitem__(self, name: str) -> Callable:
        if name not in self.rows:
            raise UsageError(nearest(name, self.rows, self.what))
        point = self.rows[name]
        if name in self.builtin:
            return point.load()
        try:
            found = point.load()
        except Exception as fault:  # whatever a package of others does when it is imported
            raise UsageError(
                broken(self.what, point, str(fault) or type(fault).__name__)
            ) from fault
        if not callable(found):
            raise UsageError(broken(self.what, point, "it is not a function"))
        return found

    def __contains__(self, name: object) -> bool:
        return name in self.rows

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


VARIANTS = Registry(
    "variant",
    "lemari.variants",
    {
        # Points
        "ae": "lemari.variants.ae:ae",
        "linear-ae": "lemari.variants.linear_ae:linear_ae",
        "sparse-ae": "lemari.variants.sparse_ae:sparse_ae",
        "contractive-ae": "lemari.variants.contractive_ae:contractive_ae",
        "masked-ae": "lemari.variants.masked_ae:masked_ae",
        "rae-l2": "lemari.variants.rae_l2:rae_l2",
        "rae-gp": "lemari.variants.rae_gp:rae_gp",
        "wae-mmd": "lemari.variants.wae_mmd:wae_mmd",
        "aae": "lemari.variants.aae:aae",
        "vae-gan": "lemari.variants.vae_gan:vae_gan",
        "neighbour-ae": "lemari.variants.neighbour_ae:neighbour_ae",
        # Gaussians
        "vae": "lemari.variants.vae:vae",
        "beta-vae": "lemari.variants.beta_vae:beta_vae",
        "capacity-vae": "lemari.variants.capacity_vae:capacity_vae",
        "sigma-vae": "lemari.variants.sigma_vae:sigma_vae",
        "cvae": "lemari.variants.cvae:cvae",
        "beta-tc-vae": "lemari.variants.beta_tc_vae:beta_tc_vae",
        "factor-vae": "lemari.variants.factor_vae:factor_vae",
        "dip-vae": "lemari.variants.dip_vae:dip_vae",
        "infovae": "lemari.variants.infovae:infovae",
        "iwae": "lemari.variants.iwae:iwae",
        "miwae": "lemari.variants.miwae:miwae",
        "piwae": "lemari.variants.piwae:piwae",
        "ciwae": "lemari.variants.ciwae:ciwae",
        "msssim-vae": "lemari.variants.msssim_vae:msssim_vae",
        "joint-vae": "lemari.variants.joint_vae:joint_vae",
        # Richer laws
        "vamp-vae": "lemari.variants.vamp_vae:vamp_vae",
        "mixture-vae": "lemari.variants.mixture_vae:mixture_vae",
        "flow-prior-vae": "lemari.variants.flow_prior_vae:flow_prior_vae",
        "flow-posterior-vae": "lemari.variants.flow_posterior_vae:flow_posterior_vae",
        "sphere-vae": "lemari.variants.sphere_vae:sphere_vae",
        "poincare-vae": "lemari.variants.poincare_vae:poincare_vae",
        "ladder-vae": "lemari.variants.ladder_vae:ladder_vae",
        # Codes
        "vq-vae": "lemari.variants.vq_vae:vq_vae",
        "residual-vq-vae": "lemari.variants.residual_vq_vae:residual_vq_vae",
        "fsq-vae": "lemari.variants.fsq_vae:fsq_vae",
        # The course
        "chapter-ae": "lemari.variants.course:chapter_ae",
        "chapter-vae": "lemari.variants.course:chapter_vae",
        "chapter-faces-vae": "lemari.variants.course:chapter_faces_vae",
        "lesson-conv-ae": "lemari.variants.course:lesson_conv_ae",
        "lesson-mlp-vae": "lemari.variants.course:lesson_mlp_vae",
        "lesson-conv-vae": "lemari.variants.course:lesson_conv_vae",
        "lesson-aae": "lemari.variants.aae:lesson_aae",
        # Restoration
        "denoising-ae": "lemari.variants.restoration:denoising_ae",
        "super-resolution-ae": "lemari.variants.restoration:super_resolution_ae",
        "inpainting-ae": "lemari.variants.restoration:inpainting_ae",
    },
)

NETWORKS = Registry(
    "network",
    "lemari.networks",
    {
        "mlp": "lemari.networks.mlp:mlp",
        "mlp-tanh": "lemari.networks.mlp:mlp_tanh",
        "linear": "lemari.networks.linear:linear",
        "residual": "lemari.networks.residual:residual",
        "maps": "lemari.networks.maps:maps",
        "conv": "lemari.networks.conv:conv",
        "patches": "lemari.networks.patches:patches",
        "chapter": "lemari.networks.course:chapter",
        "chapter-faces": "lemari.networks.course:chapter_faces",
        "lesson-conv": "lemari.networks.course:lesson_conv",
        "lesson-mlp": "lemari.networks.course:lesson_mlp",
        "unet": "lemari.networks.restoring:unet",
        "upscale": "lemari.networks.restoring:upscale",
    },
)

SAMPLERS = Registry(
    "sampler",
    "lemari.samplers",
    {
        "normal": "lemari.samplers.prior:Plain",
        "prior": "lemari.samplers.prior:Prior",
        "tempered": "lemari.samplers.prior:Tempered",
        "mixture": "lemari.samplers.mixture:Mixture",
        "kernel": "lemari.samplers.kernel:Kernel",
        "flow": "lemari.samplers.flow:Flow",
        "two-stage": "lemari.samplers.two_stage:TwoStage",
        "vamp": "lemari.samplers.vamp:Vamp",
        "sphere": "lemari.samplers.sphere:Sphere",
        "disk": "lemari.samplers.sphere:Disk",
        "walk": "lemari.samplers.walk:Walk",
        "class": "lemari.samplers.by_class:ByClass",
        "sequence": "lemari.samplers.sequence:Sequence",
    },
)
