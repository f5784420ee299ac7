"""A photo-like country road with exact depth and labels, rendered by our own code: the clean photo of the gallery."""

from unirestore.data.photo.render import PHOTO_LABELS, Photo, render_photo

__all__ = ["PHOTO_LABELS", "Photo", "render_photo"]
