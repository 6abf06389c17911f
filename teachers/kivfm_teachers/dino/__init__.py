"""DINOv2: general features, learnt without labels."""
