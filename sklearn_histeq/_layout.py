"""From axes to planes, as views.

Whatever layout an array of images has, its planes are a view of shape (n, n_channels, height,
width).
"""

from ._arithmetic import namespaces


def to_planes(X, channel_axis, image_shape):
    """Return a (n, c, h, w) view of images.

    Rows become images of `image_shape`, or, where that is None, planes of one row each.
    """
    xp = namespaces.namespace(X)
    if X.ndim == 2:
        # splitting one axis never copies, whatever its stride
        image_shape = (1, X.shape[1]) if image_shape is None else tuple(image_shape)
        X = xp.reshape(X, (X.shape[0], *image_shape))
    if X.ndim == 3:
        return xp.expand_dims(X, axis=1)
    return X if channel_axis == 1 else xp.permute_dims(X, (0, 3, 1, 2))


def mask_shape(X, planes):
    """Return the shape of a mask beside images X and their planes.

    (n, h, w), or (n, h*w) beside rows.
    """
    n, _, height, width = planes.shape
    return (n, height * width) if X.ndim == 2 else (n, height, width)
