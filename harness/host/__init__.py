"""What a machine must offer: packages by capability, and the doctor."""
