"""Small GANs, many seeds at once: what theory predicts beside what training measures."""
