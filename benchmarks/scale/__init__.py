"""How reading images scales: several processes that divide images, and images at URLs."""
