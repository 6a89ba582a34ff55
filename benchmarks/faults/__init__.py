"""What is lost, and who is told, when something breaks between a service and where its traces live."""
