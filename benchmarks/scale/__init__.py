"""What several processes gain where they share images."""
