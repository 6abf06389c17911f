"""All backbones of timm."""
