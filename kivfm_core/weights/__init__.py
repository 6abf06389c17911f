"""Files of weights and tokenizers: where they are, fetching, and loading them safely."""
