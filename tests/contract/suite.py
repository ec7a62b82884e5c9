"""What every `ObjectStore` does: one suite that the modules beside it run on each of them."""

from tests.contract.listing import ListingContract
from tests.contract.multipart import MultipartContract
from tests.contract.objects import ObjectContract


class Contract(ObjectContract, ListingContract, MultipartContract):
    """Subclasses give the fixture `store`: an empty bucket."""
