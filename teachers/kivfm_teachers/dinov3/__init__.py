"""DINOv3: general features, learnt without labels, under a license of their own."""
