"""The compiled engine's local equalization, which it leaves to the reference engine."""


def equalize_locally(planes, mask, out, rule, map_parts=map):
    """Equalize each pixel by the window around it into out; see `reference.equalize_locally`."""
    from .. import reference  # when first needed: it takes time to import scikit-image

    return reference.equalize_locally(planes, mask, out, rule, map_parts)
