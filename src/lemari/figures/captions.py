"""What each picture of a run shows, in the order in which a report shows them."""

from __future__ import annotations

from lemari.figures.style import shorten

CAPTIONS: dict[str, tuple[str, str]] = {
    "restored": (
        "Restored pictures",
        "Held-out pictures, degraded as in training, restored by the model and by baselines. PSNR"
        " compares each with the clean picture; higher is better.",
    ),
    "reconstructions": (
        "Reconstructions",
        "Held-out originals, what the model makes of them, and a baseline with the same number of"
        " latent dimensions. MSE and PSNR compare each picture with its original.",
    ),
    "latent": (
        "The latent space",
        "Every point is one example at the place of its code. Classes that lie apart are told"
        " apart by the code; classes that overlap are not.",
    ),
    "random-points": (
        "What lies at random places",
        "Random codes, marked in the latent space, and the picture the decoder makes of each.",
    ),
    "decoded-grid": (
        "The decoder over the latent space",
        "Pictures decoded at regular steps, laid over the codes of the examples. Outside the cloud"
        " of codes the decoder was never trained.",
    ),
    "prior": (
        "Codes against the prior",
        "Where the data lie and where new codes are drawn. Generated pictures can be trusted only"
        " where the two overlap.",
    ),
    "manifold": (
        "The manifold",
        "The latent plane decoded at equal steps: neighbours should resemble each other.",
    ),
    "histograms": (
        "How each dimension is spread",
        "The codes of the data in each dimension, against the standard normal density.",
    ),
    "samples": ("Generated pictures", "New codes, drawn at random and decoded."),
    "samplers": (
        "The same decoder, other samplers",
        "What each law of codes gives, the best first, and real rows last. Fitted to the codes"
        " after training; the model is the same in every row.",
    ),
    "morph": (
        "From one picture to another",
        "Decoded at equal steps on the way between the codes of two pictures.",
    ),
    "traversal": (
        "Latent traversal",
        "Each row moves one dimension of the code and leaves the others where they were.",
    ),
    "class-share": (
        "Who owns the latent area",
        "The share of the area that each class takes, and the share where there are no data.",
    ),
    "between": (
        "Quality between codes",
        "Error of pictures decoded midway between neighbouring codes, by the distance of the two.",
    ),
    "threshold": (
        "Threshold",
        "Scores of normal rows (and of anomalies, where they are known), the threshold, and what "
        "share of each lies above it.",
    ),
    "worst": (
        "The most unusual pictures",
        "The pictures with the highest scores, and where each is unlike the normal ones.",
    ),
    "kl": (
        "What each dimension carries",
        "KL divergence from the prior of each dimension. Dimensions under the line are idle.",
    ),
    "feature-maps": (
        "Feature maps of the code",
        "An input and the maps of its convolutional code, each on its own scale.",
    ),
    "curves": (
        "Learning curves",
        "Loss and its terms in nats per example, on training rows and on rows not trained on.",
    ),
    "network": (
        "The network",
        "One block a layer: height follows the size of the feature map, width its channels.",
    ),
}


def caption(stem: str) -> tuple[str, str]:
    """Title and caption of the picture file with this stem; unknown stems name themselves.

    >>> caption("error-by-row")
    ('Error by row', '')
    """
    words = shorten(stem.replace("-", " ").replace("_", " "), 80)
    return CAPTIONS.get(stem, (words[:1].upper() + words[1:], ""))
