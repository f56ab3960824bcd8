"""`HeartNet` arranged for listening: the same answers to windows of one length, at some two thirds of the cost.

In training, windows of unlike lengths share a batch, so every layer masks what is padded. When listening all windows of
a batch are of one length, and nothing is masked; each batch normalisation is folded into the convolution before it; and
the convolutions run over images of height one, for which ONNX Runtime has the faster kernels.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models.nets import HeartNet


class Listening(nn.Module):
    """Logits of the five classes from windows of one length.

    A window's logits are the same to the bit whatever windows share its batch. ONNX Runtime rounds sums and products
    otherwise where there is but one row; so beside the windows runs one more, a copy of the first, wherever rows meet
    in one product. What it would answer is left out.

    Args:
        net: ready to predict.

    Shape:
        features: (batch, time, features) float32, batch >= 1, time >= `nets.POOLING`.
        returns: (batch, 5) float32 logits in the order of `CLASSES`.
    """

    def __init__(self, net: HeartNet) -> None:
        super().__init__()
        net = copy.deepcopy(net).eval()
        self.range_nepers = net.spec.range_nepers
        self.first = _image(fuse_conv_bn_eval(net.first, net.first_norm))
        self.second = _image(fuse_conv_bn_eval(net.second, net.second_norm))
        self.lstm, self.attention, self.last = net.lstm, net.attention, net.last

    def forward(self, features: Tensor) -> Tensor:
        """See the class."""
        x = self._normal(_with_another(features))[:-1].transpose(1, 2)[:, :, None]
        for convolution in (self.first, self.second):
            x = nn.functional.max_pool2d(convolution(x).relu(), (1, 2))
        heard, _ = self.lstm(_with_another(x[:, :, 0].transpose(1, 2)))
        pooled = (heard * self.attention(heard).softmax(dim=1)).sum(dim=1)
        logits: Tensor = self.last(pooled)[:-1]
        return logits

    def _normal(self, x: Tensor) -> Tensor:
        if self.range_nepers:
            x = torch.maximum(x, x.amax(dim=(1, 2), keepdim=True) - self.range_nepers)
        centred = x - x.mean(dim=1, keepdim=True)
        variance = (centred * centred).mean(dim=(1, 2), keepdim=True)
        return centred / (variance + 1e-2).sqrt()


def _with_another(x: Tensor) -> Tensor:
    return torch.cat([x, x[:1]])


def _image(convolution: nn.Conv1d) -> nn.Conv2d:
    """The same convolution over images of height one."""
    reach = convolution.kernel_size[0]
    image = nn.Conv2d(convolution.in_channels, convolution.out_channels, (1, reach), padding=(0, reach // 2))
    image.weight, image.bias = nn.Parameter(convolution.weight[:, :, None]), convolution.bias
    return image.eval()
