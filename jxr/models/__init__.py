"""Networks: VGG-16 with its published weights, dense heads, and the U-Net."""

from jxr.models.functional import Params as Params
from jxr.models.functional import abstract as abstract
from jxr.models.functional import apply as apply
from jxr.models.functional import split as split
from jxr.models.heads import Head as Head
from jxr.models.unet import UNet as UNet
from jxr.models.vgg16 import VGG16 as VGG16
from jxr.models.vgg16 import VGG16Weights as VGG16Weights
from jxr.models.vgg16 import imagenet_logits as imagenet_logits
from jxr.models.vgg16_weights import load_vgg16_weights as load_vgg16_weights
