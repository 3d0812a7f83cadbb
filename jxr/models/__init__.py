"""Networks: VGG-16 with its published weights, dense heads, the U-Net, the shipped restorer."""

from jxr.models.functional import Params as Params
from jxr.models.functional import abstract as abstract
from jxr.models.functional import apply as apply
from jxr.models.functional import apply_in as apply_in
from jxr.models.functional import named_leaves as named_leaves
from jxr.models.functional import split as split
from jxr.models.heads import Head as Head
from jxr.models.large_images import restore_large as restore_large
from jxr.models.restorer import Restorer as Restorer
from jxr.models.restorer import load_restorer as load_restorer
from jxr.models.restorer import save_restorer as save_restorer
from jxr.models.unet import UNet as UNet
from jxr.models.vgg16 import VGG16 as VGG16
from jxr.models.vgg16 import VGG16Weights as VGG16Weights
from jxr.models.vgg16 import imagenet_logits as imagenet_logits
from jxr.models.vgg16 import vgg16_features as vgg16_features
from jxr.models.vgg16_weights import load_vgg16 as load_vgg16
from jxr.models.vgg16_weights import load_vgg16_weights as load_vgg16_weights
from jxr.models.wiener_net import WienerNet as WienerNet
