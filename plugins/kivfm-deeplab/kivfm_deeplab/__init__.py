"""DeepLab on MobileNetV2 as a kivfm teacher."""
