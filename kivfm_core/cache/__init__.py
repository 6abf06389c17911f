"""What frozen networks said about views, kept so that they are asked once."""
