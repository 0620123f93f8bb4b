"""pix2pixHD: translation of large images, from coarse to fine.

Wang, Liu, Zhu, Tao, Kautz & Catanzaro, "High-Resolution Image Synthesis and Semantic Manipulation with Conditional
GANs", CVPR 2018, arXiv:1711.11585.
"""

from typing import Annotated, Any, Literal

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import l1_loss, one_hot

from genlab.datasets.base import dataset_of
from genlab.datasets.batches import PairedImages
from genlab.datasets.loader import Chosen
from genlab.losses.adversarial import least_squares_discriminator_loss, least_squares_generator_loss, precise
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.models.feature_loss import FeatureLoss
from genlab.networks.coarse_to_fine import CoarseToFine, halved
from genlab.networks.dcgan import initialize
from genlab.networks.patchgan import PatchGAN
from genlab.networks.regions import boundaries, places_of, region_means, regions_of
from genlab.networks.residual import ResidualGenerator, Upsampling
from genlab.networks.vgg import VGGFeatures, best_features
from genlab.randomness import row_by_row

Level = Annotated[int, Field(ge=0, le=255)]

NUM_EXAMPLES, PIXELS_OF_EACH = 64, 16
"""Training images, and pixels of each, whose regions' features are kept."""

EXAMPLES_AT_ONCE = 8
"""Of those images, how many are encoded together."""

PERCEPTUAL_LAYERS = {"relu1_1": 1 / 32, "relu2_1": 1 / 16, "relu3_1": 1 / 8, "relu4_1": 1 / 4, "relu5_1": 1.0}
"""What the perceptual term compares, and how much each counts (authors' code)."""

CHOICES = 8
"""Of the kept regions that are most alike, one of so many gives its features, if chance is asked for."""


class Pix2PixHD(FeatureLoss, GenerativeModel):
    """A generator within another of twice the size, before discriminators of several scales that share their features.

    Args:
        image_shape: ``(C, H, W)`` of sources and targets; sides multiples of ``2 ** num_downsamplings``, with an
            enhancer of twice that, and at least two of them (paper: 3x1024x2048).
        width: channels of the global generator's first layer; an enhancer has half of them (paper: 64).
        num_downsamplings: halvings in the global generator and in the encoder (paper: 4).
        num_blocks: residual blocks of the global generator (paper: 9).
        upsampling: how all of them double the side (paper: transposed).
        enhancer_blocks: residual blocks of the local enhancer around it; 0: there is none (paper: 3).
        discriminator_width: channels of their first layers (paper: 64).
        num_layers: of a discriminator that halve the side (paper: 3).
        num_scales: discriminators, each of images half the size (paper: 3; authors' code: 2 for 512x1024).
        label_colours: colours of a label map, 0 to 255; each pixel is told as the nearest of them, too. Empty: sources
            are no label maps.
        instances: what counts as an instance: connected ``regions`` of one label, or of light or of dark pixels if
            there are no labels; ``none``: neither boundaries are shown nor features used (paper: objects, from a map).
        feature_dim: numbers that tell how an instance of the target looks; 0: there is no encoder (paper: 3).
        encoder_width: channels of the encoder's first layer (paper: 16).
        feature_weight: lambda of equation 5, of matching the discriminators' features (paper: 10).
        perceptual_weight: of matching features of VGG19 or, without torchvision's weights, of the network that comes
            with genlab; 0 leaves it out (authors' code: 10).
        optimizer: called once for generator and encoder, once for the discriminators (paper: Adam, lr 2e-4, beta1 0.5).

    Differs from the paper:
        - Pairs of images have no map of instances: they are found in the source.
        - The features of an instance are not a cluster's of its class, but those of the instance in some training
          images most alike in label, place and size, or of one of the eight most alike.
        - The discriminators see what the generator sees: features, and beside labels the picture of them.
        - The global generator and the enhancer are trained together from the start, not one after the other.
        - VGG sees images normalized as it was trained on them; in the authors' code it sees them in [-1, 1]. The
          network that comes with genlab has no relu5_1, which counts most.
        - Biases start at 0; in the authors' code they keep the default of their layer.
    """

    batch_type = PairedImages
    saturates = False
    directions = ("x_to_y",)
    scale = 1
    loss_name = "perceptual loss"
    known_places: Tensor
    known_features: Tensor
    colours: Tensor

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        width: PositiveInt,
        num_downsamplings: PositiveInt,
        num_blocks: PositiveInt,
        upsampling: Upsampling,
        enhancer_blocks: NonNegativeInt,
        discriminator_width: PositiveInt,
        num_layers: PositiveInt,
        num_scales: PositiveInt,
        label_colours: list[tuple[Level, Level, Level]],
        instances: Literal["none", "regions"],
        feature_dim: NonNegativeInt,
        encoder_width: PositiveInt,
        feature_weight: NonNegativeFloat,
        perceptual_weight: NonNegativeFloat,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        channels, height, side = image_shape
        self.stride = 2 ** (num_downsamplings + (enhancer_blocks > 0))
        if any(length % self.stride or length < 2 * self.stride for length in (height, side)):
            raise ValueError(
                f"image_shape={list(image_shape)}: sides must be multiples of {self.stride} and at least "
                f"{2 * self.stride}"
            )
        if label_colours and channels != 3:
            raise ValueError(f"image_shape={list(image_shape)}: label_colours are of images with 3 channels")
        if feature_dim and instances == "none":
            raise ValueError(f"feature_dim={feature_dim} needs instances=regions; without them set feature_dim=0")
        self.has_instances = instances == "regions"
        self.feature_dim = feature_dim
        self.feature_weight = feature_weight
        self.perceptual_weight = perceptual_weight
        inputs = channels + len(label_colours) + self.has_instances + feature_dim
        sizes = (inputs, channels, width, num_blocks, num_downsamplings)
        self.generator: nn.Module
        if enhancer_blocks:
            self.generator = CoarseToFine(*sizes, enhancer_blocks, upsampling)
        else:
            self.generator = ResidualGenerator(*sizes, upsampling)
        self.discriminator = nn.ModuleList(
            PatchGAN(inputs + channels, discriminator_width, num_layers, "instance", padding=2)
            for _ in range(num_scales)
        )
        if feature_dim:
            self.encoder = ResidualGenerator(channels, feature_dim, encoder_width, 0, num_downsamplings, upsampling)
            self.register_buffer("known_features", torch.zeros(NUM_EXAMPLES * PIXELS_OF_EACH, feature_dim))
            self.register_buffer("known_places", torch.zeros(NUM_EXAMPLES * PIXELS_OF_EACH, 4))
        self.loss_network = best_features() if perceptual_weight else None
        self.loss_features = told_features(self.loss_network)
        levels = torch.tensor(label_colours, dtype=torch.float32).view(-1, 3)
        self.register_buffer("colours", levels / 127.5 - 1, persistent=False)
        self.optimizer = optimizer
        self.apply(initialize)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        makers = nn.ModuleList([self.generator, self.encoder] if self.feature_dim else [self.generator])
        return [self.optimizer(makers.parameters()), self.optimizer(self.discriminator.parameters())]

    def training_step(self, batch: PairedImages, batch_idx: int) -> None:
        generator_optimizer, discriminator_optimizer = self.optimizers()
        source, target = batch
        seen, regions = self.told(source)
        if self.feature_dim:
            seen = torch.cat([seen, region_means(self.encoder(target), regions)], 1)
        fake = self.generator(seen)
        condition = seen.detach()

        # One discriminator judges all of them: it moves after the generator.
        real_features = self.judged(condition, target)
        with self.constant(self.discriminator):
            made_features = self.judged(condition, fake)
            # Not halved, as the discriminators' are in the authors' code.
            g_loss = torch.stack([2 * least_squares_generator_loss(made[-1]) for made in made_features]).sum()
            matching = feature_matching(made_features, real_features)
            network = self.loss_network
            perceptual = perceptual_l1(network, fake, target) if network else torch.zeros_like(g_loss)
            loss = g_loss + self.feature_weight * matching + self.perceptual_weight * perceptual
            self.descend(generator_optimizer, loss, "generator")

        d_losses = [
            least_squares_discriminator_loss(real[-1], made[-1])
            for real, made in zip(real_features, self.judged(condition, fake.detach()), strict=True)
        ]
        d_loss = torch.stack(d_losses).sum()
        self.descend(discriminator_optimizer, d_loss, "discriminator")

        self.report(discriminator=d_loss, generator=g_loss, feature_matching=matching, perceptual=perceptual)

    def told(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """What a source tells before features: itself, its labels and the boundaries of its instances.

        Shapes: ``(N, C, H, W)`` -> ``(N, C + labels + 1, H, W)``; instances by number, ``(N, H, W)``.
        """
        labels = self.labels(source)
        told = [source]
        if len(self.colours):
            told.append(one_hot(labels, len(self.colours)).movedim(3, 1).to(source))
        if not self.has_instances:
            return torch.cat(told, 1), labels
        regions = regions_of(labels)
        return torch.cat([*told, boundaries(regions).to(source)], 1), regions

    def labels(self, source: Tensor) -> Tensor:
        """The nearest colour of each pixel, ``(N, H, W)``; without colours, whether it is light."""
        if not len(self.colours):
            return (source.mean(1) > 0).long()
        distances = [(source - colour.view(1, 3, 1, 1)).square().sum(1) for colour in self.colours]
        return torch.stack(distances).argmin(0)

    def judged(self, condition: Tensor, images: Tensor) -> list[list[Tensor]]:
        """What the layers of each discriminator give, from the full size down."""
        pair, found = torch.cat([condition, images], 1), []
        for discriminator in self.discriminator:
            assert isinstance(discriminator, PatchGAN)
            found.append(discriminator.features(pair))
            pair = halved(pair)
        return found

    def on_validation_start(self) -> None:
        self.keep_features()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        self.keep_features()
        # Lightning has collected the state before it asks.
        checkpoint["state_dict"] |= {name: buffer for name, buffer in self.named_buffers() if name.startswith("known_")}

    @torch.no_grad()
    def keep_features(self) -> None:
        """Keeps what instances of some training images look like to the encoder now, the same in every process."""
        if not self.feature_dim:
            return
        source = dataset_of(self.trainer).sources["train"]
        generator = torch.Generator().manual_seed(0)
        examples = torch.arange(NUM_EXAMPLES) * len(source) // NUM_EXAMPLES
        features: list[Tensor] = []
        places: list[Tensor] = []
        for items in examples.split(EXAMPLES_AT_ONCE):
            pairs = PairedImages(*(images.to(self.known_features) for images in source.__getitems__(Chosen(-1, items))))
            labels = self.labels(pairs.source)
            regions = regions_of(labels)
            pixels = torch.randint(regions[0].numel(), (len(items), 1, PIXELS_OF_EACH), generator=generator)
            for found, maps in (
                (features, region_means(self.encoder(pairs.target), regions)),
                (places, places_of(regions, labels)),
            ):
                chosen = maps.flatten(2).take_along_dim(pixels.to(self.device), 2)
                found.append(chosen.movedim(1, 2).flatten(0, 1))
        self.known_features.copy_(torch.cat(features))
        self.known_places.copy_(torch.cat(places))

    def validation_step(self, batch: PairedImages, batch_idx: int) -> None:
        l1 = l1_loss(precise(self.translate(batch.source)), batch.target)
        self.log("val/l1", l1, batch_size=len(batch.source), sync_dist=True)

    def translate(self, images: Tensor, direction: str = "x_to_y", generator: torch.Generator | None = None) -> Tensor:
        """Each instance looks like the one most alike in training or, with a generator, one of the most alike."""
        seen, regions = self.told(images)
        if self.feature_dim:
            ranks = torch.zeros(len(images), dtype=torch.int64)
            if generator is not None:
                ranks = row_by_row(len(images), torch.randint, CHOICES, (), generator=generator)
            places = places_of(regions, self.labels(images))
            features = [self.likely(*one) for one in zip(places, regions, ranks.tolist(), strict=True)]
            seen = torch.cat([seen, torch.stack(features).to(seen)], 1)
        return self.generator(seen)

    def likely(self, places: Tensor, regions: Tensor, rank: int) -> Tensor:
        """Features of the known instances that come ``rank``-th in likeness to those of one image.

        Shapes: ``(4, H, W)``, ``(H, W)`` -> ``(feature_dim, H, W)``.
        """
        numbers, inverse = torch.unique(regions, return_inverse=True)
        distances = torch.cdist(places.flatten(1)[:, numbers].T, self.known_places.to(places))
        nearest = distances.topk(CHOICES, largest=False).indices[:, rank]
        return self.known_features[nearest][inverse].movedim(2, 0)


def feature_matching(found: list[list[Tensor]], wanted: list[list[Tensor]]) -> Tensor:
    """Mean absolute difference of the features of each layer but the scores (equation 4).

    By the authors' code it is 4 times the mean over these layers, and the mean over the scales.
    """
    terms = [
        4 * l1_loss(precise(layer), precise(truth.detach())) / (len(layers) - 1)
        for layers, truths in zip(found, wanted, strict=True)
        for layer, truth in zip(layers[:-1], truths[:-1], strict=True)
    ]
    return torch.stack(terms).sum() / len(found)


def perceptual_l1(network: VGGFeatures, images: Tensor, truth: Tensor) -> Tensor:
    """Absolute differences of the first layer of each block that the network has, weighted by ``PERCEPTUAL_LAYERS``.

    Shapes: ``(N, C, H, W)`` in [-1, 1], both -> scalar.
    """
    layers = compared(network)
    with torch.no_grad():
        wanted = network(truth, layers)
    found = network(images, layers)
    terms = [PERCEPTUAL_LAYERS[layer] * l1_loss(precise(found[layer]), precise(wanted[layer])) for layer in layers]
    return torch.stack(terms).sum()


def compared(network: VGGFeatures) -> list[str]:
    return [layer for layer in PERCEPTUAL_LAYERS if layer.replace("relu", "conv") in network.convolutions]


def told_features(network: VGGFeatures | None) -> str:
    """What the perceptual term compares, in words."""
    return f"{', '.join(compared(network))} of {network.name}" if network else "nothing"
