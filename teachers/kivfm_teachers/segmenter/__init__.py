"""DeepLab: semantic segmentation."""
