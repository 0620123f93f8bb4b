"""What is the same in every model whose loss compares features of a VGG: it tells which VGG there was."""

from typing import Any, ClassVar

from pytorch_lightning.utilities import rank_zero_warn

from genlab.errors import UsageError
from genlab.networks.vgg import VGG16Features, VGGFeatures, vgg19_file


class FeatureLoss:
    """Warns where the network that comes with genlab stands in for VGG19, and goes on with no other than it began with.

    Attributes:
        loss_name: what people call the loss.
        loss_network: whose features it compares; None: no network's. The constructor sets it.
        loss_features: layers and network in words, as checkpoints record them. The constructor sets it.
    """

    loss_name: ClassVar[str]
    loss_network: VGGFeatures | None
    loss_features: str

    def on_fit_start(self) -> None:
        if isinstance(self.loss_network, VGG16Features):
            rank_zero_warn(
                f"the {self.loss_name} is of {self.loss_features}, which comes with genlab; the paper's is of VGG19, "
                f"whose weights are not in {vgg19_file()}"
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["loss_features"] = self.loss_features

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Called when a run goes on.

        Raises:
            UsageError: it has been trained on the features of another network than there is now.
        """
        if (before := checkpoint["loss_features"]) != self.loss_features:
            raise UsageError(
                f"this run was trained with a {self.loss_name} of {before}, and here it is of {self.loss_features}\n"
                "the weights of VGG19 are used where torch's cache has them: bring them there, or take them away"
            )
