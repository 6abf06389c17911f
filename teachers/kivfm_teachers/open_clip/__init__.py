"""All contrastive models of open_clip."""
