"""Rate control: how many experts each block gets."""
